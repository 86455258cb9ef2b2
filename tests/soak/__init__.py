"""Simulated days on a bad line, with a bad broker, disk and clock, and kills; ends with an account.

    python -m tests.soak --hours 24 --speed 100 --seed 1

plays earthquakes to a real `eqedge run --config` over TCP, faster than life, with a real mosquitto
behind it. The plan of faults follows from the seed. The account must show that nothing was lost.
"""
