VALUE = "requires"
