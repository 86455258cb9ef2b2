"""Print the events that eqedge nodes publish: `python subscriber.py [HOST] [PORT]`."""

import json
import sys

import paho.mqtt.client as mqtt

seen = set()  # a message can arrive twice: delivery is "at least once"


def on_connect(client, _userdata, _flags, reason, _properties):
    """Subscribe at every connection, also after an outage."""
    print(f"connection: {reason}", file=sys.stderr)
    client.subscribe("eqedge/+/+/event", qos=1)


def on_message(_client, _userdata, message):
    """Print one message of one event: `new`, `update` or `end`."""
    event = json.loads(message.payload)
    if (event["event_id"], event["sequence"]) not in seen:
        seen.add((event["event_id"], event["sequence"]))
        picks = [f"{pick['phase']} {pick['time']}" for pick in event["picks"]]
        late = " (late)" if event["historical"] else ""
        print(f"{event['type']:6} {event['event_id']} {', '.join(picks)}{late}", flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_connect, client.on_message = on_connect, on_message
client.on_subscribe = lambda *_: print("waiting for events", file=sys.stderr)
client.connect(*(sys.argv[1:2] or ["localhost"]), *map(int, sys.argv[2:3]))
client.loop_forever()
