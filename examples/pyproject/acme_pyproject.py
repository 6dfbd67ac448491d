VALUE = "pyproject"
