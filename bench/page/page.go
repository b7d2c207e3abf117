// Package page writes a report as an HTML page: its text as it is, and charts. A
// page needs neither scripts nor the network.
package page

// Chart is a chart that draws itself, as SVG.
type Chart interface{ SVG() string }
