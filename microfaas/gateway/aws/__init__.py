"""AWS's APIs of functions, queues, topics, streams and more: their protocols, for any service.

A service is a mapping from AWS's operation names to coroutines, which get the parameters as they
are in AWS's model (members' names as in boto3, blobs as bytes, timestamps as seconds since 1970)
and return the result in the same form; members that are None are left out:

    async def send_message(caller: Caller, params: Params) -> Params:
        queue = params["QueueUrl"].rpartition("/")[2]
        if queue not in queues:
            raise ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
        return {"MessageId": ..., "MD5OfMessageBody": ...}

    Services([Service("sqs", {"SendMessage": send_message, ...})])

What arrives there has been authenticated, is permitted (`permissions.py` says by which scopes) and
satisfies the model: required members are there, types, lengths and patterns are right. SQS leaves
enums and numbers to the service, as AWS does. A `ServiceError` names an error of the model, as
boto3 has it (`QueueDoesNotExist`, `NotFoundException`), or any other code; its status is the
model's, unless it brings one. A result may say with which status it is answered, where the model
has a member for that (`StatusCode` of Lambda's DeleteFunction). A member that is a stream of events
is an asynchronous generator of their names and members, and is sent as it comes. Names of resources
that stand in no parameter (a shard iterator) are permitted by the service:
`caller.permit("receive", name)`. A URL that is given out begins with `caller.base_url`, which is
what the client itself called.

`api.py` is the way through: `requests.py` finds out which operation is meant, `paths.py` for it
where operations have paths, as Lambda's and the scheduler's do; `json_form.py`,
`query_form.py` and `rest_form.py` read its parameters, `validation.py` checks them, `replies.py`
writes what came of it, and `streamed.py` what comes of it by and by. `models/` is made by
docs/aws_models.py.
"""
