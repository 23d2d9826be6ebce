// The conformance suite's functions: which of them the binary is, the handler's name says.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

// raw gets the event, and gives the result, as the bytes that they are.
type raw struct{}

func (raw) Invoke(_ context.Context, event []byte) ([]byte, error) {
	return event, nil
}

func main() {
	switch os.Getenv("_HANDLER") {
	case "exits":
		os.Exit(7)
	case "raw":
		lambda.Start(raw{})
	case "stream":
		lambda.Start(stream)
	default:
		lambda.Start(cases)
	}
}
