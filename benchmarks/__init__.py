"""What publishing costs, here and with the peers; not shipped. ``make bench`` runs :mod:`benchmarks.__main__`."""
