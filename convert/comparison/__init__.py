"""Networks side by side: what each costs and what it finds."""
