package faasflow

// buildTime is the context while a module is built: there is no run, so nothing can be said about it. A Define that asks
// is stopped, and called again when there is a run.
type buildTime struct{ isRead bool }

func (b *buildTime) stop() {
	b.isRead = true
	panic(misuse("there is no run while a module is built"))
}

func (b *buildTime) RequestID() string { b.stop(); return "" }
func (b *buildTime) FlowName() string  { b.stop(); return "" }
func (b *buildTime) Node() string      { b.stop(); return "" }
func (b *buildTime) RunState() RunState {
	b.stop()
	return Running
}
func (b *buildTime) Query(string) []string             { b.stop(); return nil }
func (b *buildTime) Header(string) []string            { b.stop(); return nil }
func (b *buildTime) Inputs() Inputs                    { b.stop(); return nil }
func (b *buildTime) ContentType() string               { b.stop(); return "" }
func (b *buildTime) ContentTypes() []string            { b.stop(); return nil }
func (b *buildTime) SetContentType(string) error       { b.stop(); return nil }
func (b *buildTime) Respond(uint16, [][2]string) error { b.stop(); return nil }
func (b *buildTime) SetRejectStatus(uint16) error      { b.stop(); return nil }
func (b *buildTime) Label(string, string) error        { b.stop(); return nil }
func (b *buildTime) Get(string) ([]byte, bool, error)  { b.stop(); return nil, false, nil }
func (b *buildTime) Set(string, []byte) error          { b.stop(); return nil }
func (b *buildTime) Delete(string) error               { b.stop(); return nil }
func (b *buildTime) SignalURL(string, *uint64) (string, error) {
	b.stop()
	return "", nil
}
func (b *buildTime) Log(Level, string) { b.stop() }
