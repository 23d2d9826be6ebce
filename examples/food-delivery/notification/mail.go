package main

import (
	"fmt"
	"mime"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
)

const sender = "orders@food-delivery.example"

type letter struct {
	payment
	subject, text string
}

// sendMail sends a letter that is the same to the byte whenever it is sent again.
func sendMail(server string, l letter) error {
	if err := smtp.SendMail(server, nil, sender, []string{l.Email}, l.bytes()); err != nil {
		return fmt.Errorf("mail by %s: %w", server, err)
	}
	return nil
}

func (l letter) bytes() []byte {
	to := mail.Address{Name: l.Customer, Address: l.Email}
	return []byte(strings.Join([]string{
		"From: Food Delivery <" + sender + ">",
		"To: " + to.String(),
		"Subject: " + mime.QEncoding.Encode("utf-8", l.subject),
		"Date: " + l.AcceptedAt.Format(time.RFC1123Z),
		"Message-ID: <" + l.OrderID + "@food-delivery.example>",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
		"",
		l.text,
		"",
	}, "\r\n"))
}
