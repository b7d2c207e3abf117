// Package recommender decides what to show to a customer: the catalogue of
// items, models that learn from every event as it is logged, and the placements
// that turn them into ranked lists. It knows no broker, no store and no HTTP; its
// only clock is the time in events and requests.
package recommender
