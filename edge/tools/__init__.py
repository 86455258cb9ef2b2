"""What an operator types beside `eqedge run`; nothing here runs on a live node."""
