// Render: sets an invoice out as text.
package main

import (
	"bytes"
	"context"
	"text/template"

	"github.com/aws/aws-lambda-go/lambda"
)

type line struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Price    string `json:"price"`
}

type invoice struct {
	Number     string `json:"number"`
	Date       string `json:"date"`
	Customer   string `json:"customer"`
	Country    string `json:"country_name"`
	Lines      []line `json:"lines"`
	Net        string `json:"net"`
	VatPercent string `json:"vat_percent"`
	Vat        string `json:"vat"`
	Gross      string `json:"gross"`
	Due        string `json:"due"`
	Reference  string `json:"reference"`
}

type rendered struct {
	Text string `json:"text"`
}

var page = template.Must(template.New("invoice").Parse(`Invoice {{.Number}} of {{.Date}}
{{.Customer}}, {{.Country}}

{{range .Lines}}{{printf "%6d  %-28s %10s" .Quantity .Item .Price}}
{{end}}
{{printf "%-36s %10s" "net" .Net}}
{{printf "%-36s %10s" (printf "VAT %s %%" .VatPercent) .Vat}}
{{printf "%-36s %10s" "to pay" .Gross}}

Please pay by {{.Due}}, with the reference {{.Reference}}.
`))

func handle(_ context.Context, event invoice) (rendered, error) {
	var text bytes.Buffer
	err := page.Execute(&text, event)
	return rendered{text.String()}, err
}

func main() {
	lambda.Start(handle)
}
