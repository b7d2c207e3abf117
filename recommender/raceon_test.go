//go:build race

package recommender

// raceDetector makes sync.Pool forget at random.
const raceDetector = true
