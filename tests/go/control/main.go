// Makes functions and what goes with them, as a deployment does: by AWS's SDK, as it comes.
// control SCENARIO: reads what it is to deploy, and tells what it saw.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
)

const patience = time.Minute

var (
	ctx       = context.Background()
	name      = "f"
	scenarios = map[string]func(*lambda.Client, wanted) map[string]any{
		"functions": functions, "resources": resources,
	}
)

// Packages' bytes are in base64, as JSON has them.
type wanted struct {
	First  []byte `json:"first"`
	Second []byte `json:"second"`
	Role   string `json:"role"`
	Queue  string `json:"queue"`
	Layer  []byte `json:"layer"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// What an exception of just this type says: its name, its status and its message.
func fault[T smithy.APIError](err error) []any {
	var typed T
	var reply *awshttp.ResponseError
	if !errors.As(err, &typed) || !errors.As(err, &reply) {
		panic(err)
	}
	return []any{typed.ErrorCode(), reply.HTTPStatusCode(), typed.ErrorMessage()}
}

type paginator[Page any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*lambda.Options)) (Page, error)
}

func all[Page, Row any](pages paginator[Page], rows func(Page) []Row) []Row {
	found := []Row{}
	for pages.HasMorePages() {
		found = append(found, rows(must(pages.NextPage(ctx)))...)
	}
	return found
}

func main() {
	var in wanted
	check(json.NewDecoder(os.Stdin).Decode(&in))
	client := lambda.NewFromConfig(must(config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1))))
	check(json.NewEncoder(os.Stdout).Encode(scenarios[os.Args[1]](client, in)))
}
