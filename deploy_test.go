package rapport_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/rapport-engine/rapport/engine"
)

// instruction is one line of the Dockerfile: RUN, and what follows.
type instruction struct{ name, rest string }

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dockerfile returns the instructions of each stage.
func dockerfile(t *testing.T) [][]instruction {
	t.Helper()
	var stages [][]instruction
	for line := range strings.Lines(readText(t, "Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasSuffix(line, "\\") {
			t.Fatalf("a continued line, which this test does not read: %s", line)
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) > 0 {
			stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, rest})
		}
	}
	return stages
}

func TestDockerfileRefersToWhatExists(t *testing.T) {
	sent := strings.Split(readText(t, ".dockerignore"), "\n")
	toolchain := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "go.mod"))[1]
	stages := dockerfile(t)
	if !strings.HasPrefix(stages[0][0].rest, "golang:"+toolchain) {
		t.Errorf("builds with %q; go.mod wants Go %s", stages[0][0].rest, toolchain)
	}
	for _, stage := range stages {
		for _, i := range stage {
			if i.name != "COPY" || strings.HasPrefix(i.rest, "--from=") {
				continue
			}
			fields := strings.Fields(i.rest)
			for _, source := range fields[:len(fields)-1] {
				if _, err := os.Stat(source); err != nil {
					t.Errorf("COPY %s: %v", i.rest, err)
				}
				if !slices.Contains(sent, "!"+source) {
					t.Errorf("COPY %s: .dockerignore holds %s back", i.rest, source)
				}
			}
		}
	}
}

func TestDockerfileEndsInAnImageWithoutShellOrRoot(t *testing.T) {
	stages := dockerfile(t)
	last := stages[len(stages)-1]
	user := ""
	for _, i := range last {
		switch i.name {
		case "FROM":
			if i.rest != "scratch" {
				t.Errorf("the image stands on %q", i.rest)
			}
		case "RUN":
			t.Errorf("RUN %s: there is nothing to run it", i.rest)
		case "USER":
			user = i.rest
		case "CMD", "ENTRYPOINT":
			if !strings.HasPrefix(i.rest, "[") {
				t.Errorf("%s %s: needs a shell", i.name, i.rest)
			}
		}
	}
	if user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
		t.Errorf("runs as user %q", user)
	}
}

func TestDockerfileBuildsAStaticBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program")
	}
	build := ""
	for _, i := range dockerfile(t)[0] {
		if i.name == "RUN" && strings.Contains(i.rest, "go build") {
			build = i.rest
		}
	}
	const target, version = "/out/rapport", "v1.2.3-test"
	if !strings.Contains(build, "-o "+target+" ") {
		t.Fatalf("RUN %s: does not write %s", build, target)
	}
	binary := filepath.Join(t.TempDir(), "rapport")
	command := exec.Command("sh", "-c", strings.ReplaceAll(build, target, binary))
	command.Env = append(os.Environ(), "VERSION="+version)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, output)
	}
	if runtime.GOOS == "linux" {
		file, err := elf.Open(binary)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if libraries, _ := file.ImportedLibraries(); len(libraries) > 0 || file.Section(".interp") != nil {
			t.Errorf("the binary is not static: it needs %q", libraries)
		}
	}
	output, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(output), version) {
		t.Errorf("rapport version: %v, printed %q, which does not name %s", err, output, version)
	}
}

// TestDeployedConfigurationsAreValid reads what the image, the compose file and the systemd unit set
// as the program would.
func TestDeployedConfigurationsAreValid(t *testing.T) {
	var image, unit, composed []string
	for _, i := range dockerfile(t)[1] {
		if i.name == "ENV" {
			image = append(image, strings.Fields(i.rest)...)
		}
	}
	for line := range strings.Lines(readText(t, "deploy/rapport.service")) {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			unit = append(unit, strings.Fields(list)...)
		}
	}
	var compose struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(readText(t, "deploy/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`\$\{[^}]*\}`)
	for name, value := range compose.Services["rapport"].Environment {
		composed = append(composed, name+"="+reference.ReplaceAllString(value, "a-key-"+strings.ToLower(name)))
	}
	for name, service := range compose.Services {
		if name != "rapport" && !regexp.MustCompile(`:[0-9]+\.[0-9]+`).MatchString(service.Image) {
			t.Errorf("compose.yaml: %s: image %q has no fixed version", name, service.Image)
		}
	}
	for name, env := range map[string][]string{
		"the image with keys": append(slices.Clone(image), "RAPPORT_KEYS_READ=a-secret-key"),
		"compose.yaml":        append(slices.Clone(image), composed...),
		"rapport.service":     unit,
	} {
		if len(env) < 2 {
			t.Errorf("%s: sets nothing", name)
		}
		if _, err := engine.LoadConfig("", env, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
