"""The orders in a file that was dropped: one per line, ITEM,COUNT."""

import csv
import os
import urllib.parse


def handler(event, context):
    return [order for record in event["Records"] for order in orders(record["s3"])]


def orders(s3):
    key = urllib.parse.unquote_plus(s3["object"]["key"])
    lines = content(s3["bucket"]["name"], key).splitlines()
    return [{"item": item, "count": int(count)} for item, count in csv.reader(lines)]


def content(bucket, key):
    """A file of a bucket's: from S3, or from where microfaas shows the bucket's folder."""
    folder = os.environ.get("BUCKET_INCOMING")
    if folder is None:
        import boto3

        return boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    with open(os.path.join(folder, key)) as file:
        return file.read()
