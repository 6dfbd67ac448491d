VALUE = "dotted"
