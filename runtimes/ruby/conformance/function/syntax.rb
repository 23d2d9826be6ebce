def handler(event:, context:
