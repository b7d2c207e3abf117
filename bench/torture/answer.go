package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// profile is what GET /v1/profiles answers, as far as it is compared.
type profile struct {
	ID          string
	Identifiers []string
	Events      int
	FirstAt     time.Time `json:"first_at"`
	LastAt      time.Time `json:"last_at"`
	Channels    map[string]struct {
		Events  int
		FirstAt time.Time `json:"first_at"`
		LastAt  time.Time `json:"last_at"`
	}
	Traits   map[string]any
	Consents map[string]bool
	Locale   string
	Cart     struct {
		Items []struct {
			ID       string
			Quantity int
		}
	}
	Viewed []struct {
		ID, Channel string
		At          time.Time
	}
	Orders struct {
		Count   int
		Revenue float64
		Recent  []struct {
			ID, Status string
			At         time.Time
		}
	}
}

// Ask asks the server at url what it knows of a customer; nil where it knows
// nobody.
func Ask(ctx context.Context, client *http.Client, url, id string) (*Known, error) {
	var p profile
	var history struct {
		Events []struct {
			MessageID string `json:"messageId"`
		}
	}
	found, err := get(ctx, client, url+"/v1/profiles/"+id, &p)
	if err == nil && found {
		_, err = get(ctx, client, url+"/v1/profiles/"+id+"/events?limit=20", &history)
	}
	if err != nil || !found {
		return nil, err
	}
	k := p.known()
	for _, e := range history.Events {
		k.Latest = append(k.Latest, e.MessageID)
	}
	return k, nil
}

func get(ctx context.Context, client *http.Client, url string, to any) (found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s: %s: %.300s", url, resp.Status, body)
	}
	return true, json.Unmarshal(body, to)
}

func (p *profile) known() *Known {
	k := &Known{
		ID: p.ID, Identifiers: p.Identifiers, Events: p.Events, First: p.FirstAt.UnixMilli(), Last: p.LastAt.UnixMilli(),
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: p.Consents, Locale: p.Locale,
		Cart: map[string]int{}, Viewed: map[string]string{}, Count: p.Orders.Count, Revenue: fmt.Sprintf("%.2f", p.Orders.Revenue),
	}
	for name, c := range p.Channels {
		k.Channels[name] = fmt.Sprint(c.Events, c.FirstAt.UnixMilli(), c.LastAt.UnixMilli())
	}
	for name, value := range p.Traits {
		k.Traits[name] = fmt.Sprint(value)
	}
	for _, line := range p.Cart.Items {
		k.Cart[line.ID] = line.Quantity
	}
	for _, v := range p.Viewed {
		k.Viewed[v.ID] = fmt.Sprint(v.At.UnixMilli(), v.Channel)
	}
	for _, o := range p.Orders.Recent {
		k.Orders = append(k.Orders, fmt.Sprintf("%s %d %s", o.ID, o.At.UnixMilli(), o.Status))
	}
	slices.SortFunc(k.Orders, strings.Compare)
	return k
}
