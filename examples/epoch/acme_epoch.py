VALUE = "epoch"
