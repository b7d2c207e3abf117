// Package accuracy measures how well the recommender predicts what customers do
// next, on recorded sessions, under the protocols of published tables, beside plain
// re-implementations of what those tables compare with. All models see the same
// clicks in the same order and are asked the same questions.
package accuracy
