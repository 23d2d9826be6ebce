"""An application as Chalice has them: functions, and what fires them, by decorators."""

import chalice

app = chalice.Chalice(app_name="shop")


@app.lambda_function(name="greet")
def greet(event, context):
    return {"hello": event["name"], "by": context.function_name}


@app.on_sqs_message(queue="orders", batch_size=5)
def pack(event):
    for record in event:
        print("packs", record.body)


@app.on_sns_message(topic="news")
def tell(event):
    print("tells", event.message)
