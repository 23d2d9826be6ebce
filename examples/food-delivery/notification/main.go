// Notification: tells the customer how an order went. Here it only logs what it would send.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

var texts = map[string]string{
	"confirmed": "Thank you, %s! Your order %s is being prepared.",
	"declined":  "Sorry, %s, your payment for order %s was declined.",
}

type news struct {
	Customer string `json:"customer"`
	OrderID  string `json:"order_id"`
	Status   string `json:"status"`
}

type sent struct {
	Sent string `json:"sent"`
}

// InvalidNotification: there is nothing to say about this.
type InvalidNotification struct{ why string }

func (e InvalidNotification) Error() string { return e.why }

func handle(_ context.Context, event news) (sent, error) {
	if missing := event.missing(); len(missing) > 0 {
		return sent{}, InvalidNotification{"missing: " + strings.Join(missing, ", ")}
	}
	form, known := texts[event.Status]
	if !known {
		return sent{}, InvalidNotification{fmt.Sprintf("status: nothing is said about %q", event.Status)}
	}
	text := fmt.Sprintf(form, event.Customer, event.OrderID)
	log.Printf("to %s: %s", event.Customer, text)
	return sent{text}, nil
}

func (n news) missing() []string {
	var names []string
	for _, field := range []struct{ name, value string }{
		{"customer", n.Customer}, {"order_id", n.OrderID}, {"status", n.Status},
	} {
		if field.value == "" {
			names = append(names, field.name)
		}
	}
	return names
}

func main() {
	lambda.Start(handle)
}
