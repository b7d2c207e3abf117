package streams

// InvalidError says why an event cannot be taken and what to change. It is the
// text of API answers and of dead letters.
type InvalidError struct {
	// Reason is one of the Reason... constants of dead letters.
	Reason string
	// Field is the path of what is wrong ("properties.products[2].quantity"),
	// "" where it is the event as a whole.
	Field string
	// Detail says what is wrong or what is allowed ("must be a number >= 0").
	Detail string
}

// Error returns "field: detail".
func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

func invalid(field, detail string) *InvalidError {
	return &InvalidError{Reason: ReasonInvalid, Field: field, Detail: detail}
}
