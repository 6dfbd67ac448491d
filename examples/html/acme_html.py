VALUE = "html"
