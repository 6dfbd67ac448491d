VALUE = "größe"
