"""Assign UTC to sample numbers: by arrival, by the sensor's ticks, by a receiver's pulses."""
