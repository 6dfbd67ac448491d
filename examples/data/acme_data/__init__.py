from pkgutil import get_data

VALUE = get_data(__name__, "value.txt").decode().strip()
