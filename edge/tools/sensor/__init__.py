"""`eqedge sensor`: watch, record, check and simulate a sensor."""
