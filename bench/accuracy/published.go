package accuracy

// Published is a row of a published table.
type Published struct {
	Model   string             `json:"model"`
	Metrics map[string]float64 `json:"metrics"`
}

type publishedKey struct{ protocol, data, repeats string }

// Sources: serenade-example, the README of bolcom/serenade; rsc15-100k, session-rec's
// (its first 387 predictions); diginetica, Wu et al. (SR-GNN, AAAI 2019); beauty, Zhou et al. (S3-Rec, CIKM 2020) and
// Chen et al. (ICLRec, WWW 2022).
var published = map[publishedKey][]Published{
	{Serenade, "serenade-example", "exclude"}: {
		{"VMIS-kNN (m1502 k288 L4), test", map[string]float64{"mrr@20": .3401}},
		{"VMIS-kNN (m1502 k288 L4), valid", map[string]float64{"mrr@20": .3197}},
	},
	{SessionRec, "rsc15-100k", "allow"}: {
		{"VS-kNN, first 387", map[string]float64{"hr@20": .610, "mrr@20": .334}},
		{"GRU4Rec, first 387", map[string]float64{"hr@20": .571, "mrr@20": .329}},
		{"AR, first 387", map[string]float64{"hr@20": .592, "mrr@20": .316}},
		{"SR, first 387", map[string]float64{"hr@20": .561, "mrr@20": .328}},
	},
	{SRGNN, "diginetica", "allow"}: {
		{"SR-GNN", map[string]float64{"hr@20": .5073, "mrr@20": .1759}},
	},
	{LeaveOneOut, "beauty", "allow"}: {
		{"PopRec", map[string]float64{"hr@5": .0080, "ndcg@5": .0044, "hr@10": .0152, "ndcg@10": .0068}},
		{"GRU4Rec", map[string]float64{"hr@5": .0164, "ndcg@5": .0099, "hr@10": .0283, "ndcg@10": .0137}},
		{"SASRec", map[string]float64{"hr@5": .0387, "ndcg@5": .0249, "hr@10": .0605, "ndcg@10": .0318}},
		{"S3-Rec", map[string]float64{"hr@5": .0387, "ndcg@5": .0244, "hr@10": .0647, "ndcg@10": .0327}},
		{"ICLRec", map[string]float64{"hr@5": .0500, "ndcg@5": .0326, "hr@10": .0744, "ndcg@10": .0403}},
	},
}

// PublishedFor returns the published rows for the data and options, none where there
// are none.
func PublishedFor(d *Data, o *Options) []Published {
	return published[publishedKey{o.Protocol, d.Name, o.Repeats}]
}
