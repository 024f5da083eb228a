"""Background work: the SAQ queue, the jobs that bring orders to the exchange, the loops that find what was missed."""
