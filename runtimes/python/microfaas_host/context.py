"""The context object that Lambda passes to a handler."""

import json
import os
import time


class ClientContext:
    """What a mobile client sent along; the fields are absent values when it did not."""

    class Client:
        FIELDS = (
            "installation_id",
            "app_title",
            "app_version_name",
            "app_version_code",
            "app_package_name",
        )

        def __init__(self, fields):
            for name in self.FIELDS:
                setattr(self, name, fields.get(name))

    def __init__(self, text):
        fields = json.loads(text)
        self.client = self.Client(fields.get("client") or {})
        self.custom = fields.get("custom")
        self.env = fields.get("env")


class Identity:
    """Never set here: there is no Cognito on one machine."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The fields and the one method of Lambda's context."""

    def __init__(self, request):
        self.aws_request_id = request["id"]
        self.invoked_function_arn = request["arn"]
        self._deadline_ms = request["deadline_ms"]
        client_context = request.get("client_context")
        self.client_context = ClientContext(client_context) if client_context else None
        self.identity = Identity()
        self.tenant_id = None
        environment = os.environ
        self.function_name = environment["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environment["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environment["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environment["AWS_LAMBDA_LOG_STREAM_NAME"]

    def get_remaining_time_in_millis(self):
        return max(0, int(self._deadline_ms - time.time() * 1000))

    def log(self, message):
        print(message, end="")

    def __repr__(self):
        fields = ",".join("{}={}".format(k, v) for k, v in vars(self).items() if k[0] != "_")
        return "LambdaContext([{}])".format(fields)
