"""Where alarms arrive: whoever is on duty would be called from here. The event is SNS's."""

import json


def handler(event, context):
    for record in event["Records"]:
        window = json.loads(record["Sns"]["Message"])["window"]
        print(f"ALARM {record['Sns']['Subject']} from {window['start']} to {window['end']}")
