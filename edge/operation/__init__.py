"""Running a node for a year: settings file, health, watchdog, doctor, benchmark."""
