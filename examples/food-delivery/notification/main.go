// Notification: tells the customer how the payment of an order went, by e-mail, and by SMS too when
// the order is on its way.
//
// It is told by a topic, and told again until it succeeds, so a customer may be told twice; each
// message has an id made of the order's, by which that can be seen. The SMS comes first: a gateway
// drops what has a key that it has seen, while repeated mails would all be read.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// What is read of SNS's event.
type event struct {
	Records []struct {
		Sns struct {
			Message           string
			MessageAttributes map[string]struct{ Value string }
		}
	}
}

type payment struct {
	OrderID    string    `json:"order_id"`
	AcceptedAt time.Time `json:"accepted_at"`
	Customer   string    `json:"customer"`
	Email      string    `json:"email"`
	Phone      string    `json:"phone"`
	TotalCents int       `json:"total_cents"`
	Reason     string    `json:"reason"`
}

var (
	mailServer = os.Getenv("SMTP_ADDRESS")
	smsGateway = os.Getenv("SMS_URL")
)

func handle(ctx context.Context, told event) error {
	for _, record := range told.Records {
		var paid payment
		if err := json.Unmarshal([]byte(record.Sns.Message), &paid); err != nil {
			return fmt.Errorf("not a payment: %w", err)
		}
		status := record.Sns.MessageAttributes["status"].Value
		if err := tell(ctx, status, paid); err != nil {
			return fmt.Errorf("order %s, %s: %w", paid.OrderID, status, err)
		}
		log.Printf("order %s, %s: %s has been told", paid.OrderID, status, paid.Customer)
	}
	return nil
}

func tell(ctx context.Context, status string, paid payment) error {
	total := fmt.Sprintf("%d.%02d", paid.TotalCents/100, paid.TotalCents%100)
	switch status {
	case "confirmed":
		text := fmt.Sprintf("Thank you, %s! Your order of %s is being prepared.", paid.Customer, total)
		if err := sendSMS(ctx, smsGateway, paid.Phone, text, paid.OrderID); err != nil {
			return err
		}
		return sendMail(mailServer, letter{paid, "Your order is confirmed", text})
	case "declined":
		text := fmt.Sprintf("Sorry, %s, your order of %s could not be paid: %s.",
			paid.Customer, total, paid.Reason)
		return sendMail(mailServer, letter{paid, "Your order could not be paid", text})
	}
	return fmt.Errorf("nothing is said about this status")
}

func main() {
	lambda.Start(handle)
}
