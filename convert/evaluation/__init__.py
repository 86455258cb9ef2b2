"""Networks and runs against labels: strict scores with intervals, for `eqedge evaluate`."""
