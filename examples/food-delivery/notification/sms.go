package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// sendSMS hands a text to the gateway, which sends one per key however often it gets it.
func sendSMS(ctx context.Context, gateway, to, text, key string) error {
	body, err := json.Marshal(map[string]string{"to": to, "text": text})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, "POST", gateway, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("SMS: %w", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode >= 300 {
		return fmt.Errorf("SMS by %s: %s", gateway, reply.Status)
	}
	return nil
}
