from setuptools import setup

setup(
    name="acme-setup-py",
    version="1.0",
    description="Everything in setup.py",
    author="Acme",
    author_email="dev@acme.example",
    py_modules=["acme_setup_py"],
    python_requires=">=3.8",
)
