"""Commands of an operator beside `eqedge run`; a live node uses nothing of this folder."""
