package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// newControl serves what package control lists.
func newControl(target *target, loads *loads, books *books, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("PUT /target", func(w http.ResponseWriter, r *http.Request) {
		var want control.Target
		if !read(w, r, &want) {
			return
		}
		if err := target.set(r.Context(), want); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		log.Info("Target behaves otherwise", "target", want)
	})
	mux.HandleFunc("PUT /loads/{name}", func(w http.ResponseWriter, r *http.Request) {
		var want control.Load
		if !read(w, r, &want) {
			return
		}
		if err := loads.start(r.PathValue("name"), want); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		log.Info("Load begins", "load", r.PathValue("name"), "url", want.URL, "subjects", want.Subjects)
	})
	mux.HandleFunc("PUT /loads/{name}/credential", func(w http.ResponseWriter, r *http.Request) {
		credential, err := io.ReadAll(r.Body)
		if err != nil || !loads.sign(r.PathValue("name"), string(credential)) {
			http.NotFound(w, r)
		}
	})
	mux.HandleFunc("DELETE /loads/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !loads.stop(r.PathValue("name")) {
			http.NotFound(w, r)
		}
	})
	mux.HandleFunc("GET /loads/{name}", func(w http.ResponseWriter, r *http.Request) {
		report, ok := books.report(r.PathValue("name"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report) // whoever asked is gone
	})
	return mux
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
