package main

import (
	"context"
	"errors"
	"io"
)

type streamed struct {
	Pieces []string `json:"pieces"`
	Fail   bool     `json:"fail"`
}

// stream gives a reader, which aws-lambda-go sends on piece by piece.
func stream(_ context.Context, event streamed) (io.Reader, error) {
	reader, writer := io.Pipe()
	go func() {
		for _, piece := range event.Pieces {
			if _, err := io.WriteString(writer, piece); err != nil {
				return
			}
		}
		if event.Fail {
			writer.CloseWithError(errors.New("broken while streaming"))
			return
		}
		writer.Close()
	}()
	return reader, nil
}
