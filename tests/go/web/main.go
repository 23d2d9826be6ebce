// A web server of Go's own library behind a function URL, through aws-lambda-go.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-lambda-go/lambdaurl"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		cookie, _ := r.Cookie("seen")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		answer := map[string]string{
			"id": r.PathValue("id"), "q": r.URL.Query().Get("q"), "body": string(body),
		}
		if cookie != nil {
			answer["seen"] = cookie.Value
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("GET /lines", func(w http.ResponseWriter, r *http.Request) {
		for number := range 3 {
			fmt.Fprintf(w, "line %d\n", number)
		}
	})
	lambdaurl.Start(mux)
}
