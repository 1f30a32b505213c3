package main

import (
	"fmt"

	"trunkline/benches/peers/wire"
)

// figures are what a pair of processes reports.
type figures struct {
	// By the name of the metric.
	Metrics map[string]float64 `json:"metrics"`
	// What a reader of the figures must know.
	Notes []string `json:"notes"`
}

func newFigures() figures {
	return figures{Metrics: map[string]float64{}, Notes: []string{}}
}

func (f *figures) note(format string, values ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, values...))
}

func (f figures) message() *wire.Figures {
	return &wire.Figures{Metrics: f.Metrics, Notes: f.Notes}
}

// figuresOf is what a child has reported, or why it could not.
func figuresOf(message *wire.Figures) (figures, error) {
	if message.Failure != "" {
		return figures{}, fmt.Errorf("the child says: %s", message.Failure)
	}
	report := newFigures()
	for name, value := range message.Metrics {
		report.Metrics[name] = value
	}
	report.Notes = append(report.Notes, message.Notes...)
	return report, nil
}
