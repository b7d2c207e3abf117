package streams

// aliases maps names of Segment's v1 e-commerce spec, its e-mail events and
// Google Analytics 4 to the names used everywhere in Rapport.
var aliases = map[string]string{
	// Segment e-commerce, version 1.
	"Viewed Product":          "Product Viewed",
	"Clicked Product":         "Product Clicked",
	"Added Product":           "Product Added",
	"Removed Product":         "Product Removed",
	"Shared Product":          "Product Shared",
	"Reviewed Product":        "Product Reviewed",
	"Viewed Product Category": "Product List Viewed",
	"Viewed Product List":     "Product List Viewed",
	"Filtered Product List":   "Product List Filtered",
	"Searched Products":       "Products Searched",
	"Viewed Promotion":        "Promotion Viewed",
	"Clicked Promotion":       "Promotion Clicked",
	"Viewed Cart":             "Cart Viewed",
	"Updated Cart":            "Cart Updated",
	"Shared Cart":             "Cart Shared",
	"Started Checkout":        "Checkout Started",
	"Started Order":           "Checkout Started",
	"Viewed Checkout Step":    "Checkout Step Viewed",
	"Completed Checkout Step": "Checkout Step Completed",
	"Entered Payment Info":    "Payment Info Entered",
	"Updated Order":           "Order Updated",
	"Completed Order":         "Order Completed",
	"Shipped Order":           "Order Shipped",
	"Delivered Order":         "Order Delivered",
	"Refunded Order":          "Order Refunded",
	"Cancelled Order":         "Order Cancelled",
	"Canceled Order":          "Order Cancelled",
	"Order Canceled":          "Order Cancelled",
	"Entered Coupon":          "Coupon Entered",
	"Applied Coupon":          "Coupon Applied",
	"Denied Coupon":           "Coupon Denied",
	"Removed Coupon":          "Coupon Removed",

	// Segment's e-mail events.
	"Email Sent":           "Message Sent",
	"Email Delivered":      "Message Delivered",
	"Email Opened":         "Message Opened",
	"Email Link Clicked":   "Message Clicked",
	"Email Bounced":        "Message Bounced",
	"Email Marked as Spam": "Message Complained",

	// Google Analytics 4.
	"view_item":            "Product Viewed",
	"select_item":          "Product Clicked",
	"view_item_list":       "Product List Viewed",
	"search":               "Products Searched",
	"view_search_results":  "Products Searched",
	"add_to_cart":          "Product Added",
	"remove_from_cart":     "Product Removed",
	"view_cart":            "Cart Viewed",
	"begin_checkout":       "Checkout Started",
	"add_payment_info":     "Payment Info Entered",
	"purchase":             "Order Completed",
	"refund":               "Order Refunded",
	"add_to_wishlist":      "Product Added to Wishlist",
	"view_promotion":       "Promotion Viewed",
	"select_promotion":     "Promotion Clicked",
	"remove_from_wishlist": "Product Removed from Wishlist",
}

// CanonicalName returns the name that an event has within Rapport: names of
// Segment's v1 spec, its e-mail events and Google Analytics 4 become those of
// the v2 spec ("Completed Order" and "purchase" are "Order Completed"), any
// other name stays as it is. Rules that name events read them through it, too.
func CanonicalName(name string) string {
	if to, ok := aliases[name]; ok {
		return to
	}
	return name
}
