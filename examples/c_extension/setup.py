from setuptools import Extension, setup

setup(
    name="acme-c-extension",
    version="1.0",
    description="A module in C",
    author="Acme",
    ext_modules=[Extension("acme_c_extension", ["acme_c_extension.c"])],
    python_requires=">=3.8",
)
