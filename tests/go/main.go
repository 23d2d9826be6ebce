// Uses topics and queues as a function does, or as a program outside: by AWS's SDK, as it comes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type event struct {
	Topic   string `json:"topic"`
	Queue   string `json:"queue"`
	Message string `json:"message"`
}

type answer struct {
	MessageId string `json:"messageId"`
	Body      string `json:"body"`
	Attribute string `json:"attribute"`
}

func handle(ctx context.Context, in event) (answer, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return answer{}, err
	}
	sent, err := sns.NewFromConfig(settings).Publish(ctx, &sns.PublishInput{
		TopicArn: aws.String(in.Topic), Message: aws.String(in.Message),
	})
	if err != nil {
		return answer{}, err
	}
	queues := sqs.NewFromConfig(settings)
	found, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(in.Queue)})
	if err != nil {
		return answer{}, err
	}
	_, err = queues.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: found.QueueUrl, MessageBody: aws.String(in.Message),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"who": {DataType: aws.String("String"), StringValue: aws.String("go")},
		},
	})
	if err != nil {
		return answer{}, err
	}
	got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: found.QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		return answer{}, err
	}
	message := got.Messages[0]
	_, err = queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{
		QueueUrl: found.QueueUrl, ReceiptHandle: message.ReceiptHandle,
	})
	return answer{*sent.MessageId, *message.Body, *message.MessageAttributes["who"].StringValue}, err
}

func main() {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		lambda.Start(handle)
		return
	}
	var in event
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	out, err := handle(context.Background(), in)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(out)
}
