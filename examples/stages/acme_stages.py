VALUE = "stages"
