"""What AWS's own toolkit for Python offers: routes, validation, batches, traces."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import (
    APIGatewayHttpResolver,
    APIGatewayRestResolver,
    CORSConfig,
    LambdaFunctionUrlResolver,
    Response,
    content_types,
)
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parser import BaseModel, event_parser
from aws_lambda_powertools.utilities.parser.envelopes import LambdaFunctionUrlEnvelope
from aws_lambda_powertools.utilities.parser.models import LambdaFunctionUrlModel

logger, tracer = Logger(service="shop"), Tracer(service="shop")
app = LambdaFunctionUrlResolver(cors=CORSConfig(allow_origin="https://shop.example"))
processor = BatchProcessor(event_type=EventType.SQS)


http, rest_api = APIGatewayHttpResolver(), APIGatewayRestResolver()


class Order(BaseModel):
    id: int
    what: str


@app.get("/orders/<order_id>")
@tracer.capture_method
def order(order_id: str) -> dict[str, Any]:
    context = app.current_event.request_context
    return {
        "order": order_id,
        "from": context.http.source_ip,
        "q": app.current_event["rawQueryString"],
    }


@app.post("/orders")
def create() -> Response:
    body = app.current_event.json_body
    return Response(201, content_types.APPLICATION_JSON, body, cookies=[])


@app.get("/none")
def none() -> None:
    raise NotFoundError("there is none")


@http.get("/orders/<order_id>")
def routed_order(order_id: str) -> dict[str, Any]:
    return {"order": order_id, "given": http.current_event.path_parameters}


@rest_api.get("/rest/<order_id>")
def rest_order(order_id: str) -> dict[str, Any]:
    values = rest_api.current_event.multi_value_query_string_parameters
    return {"order": order_id, "q": values["q"]}


def routed(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return http.resolve(event, context)


def rest(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return rest_api.resolve(event, context)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)


@event_parser(model=Order, envelope=LambdaFunctionUrlEnvelope)
def parsed(event: Order, context: Any) -> dict[str, Any]:
    return {"statusCode": 200, "body": f"{event.id} {event.what}"}


@event_parser(model=LambdaFunctionUrlModel)
def whole(event: LambdaFunctionUrlModel, context: Any) -> dict[str, Any]:
    return {"statusCode": 200, "body": str(event.requestContext.http.method)}


@tracer.capture_method
def take(record: SQSRecord) -> None:
    if record.json_body["bad"]:
        raise ValueError("bad")


def batch(event: dict[str, Any], context: Any) -> Any:
    return process_partial_response(event, take, processor, context)
