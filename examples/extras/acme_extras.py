from acme_setup_py import greet

VALUE = greet("extras")
