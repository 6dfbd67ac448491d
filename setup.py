"""Everything stands in setup.cfg; this file lets ``python setup.py sdist bdist_wheel publish_private`` publish us, too."""

from setuptools import setup

setup()
