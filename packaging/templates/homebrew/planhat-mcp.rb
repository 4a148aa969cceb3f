# For a tap: brew install OWNER/tap/planhat-mcp
class PlanhatMcp < Formula
  desc "Local stdio MCP bridge to Planhat and other remote MCP servers"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license "MIT"

  on_macos do
    on_arm do
      url "@RELEASE@/planhat-mcp-@VERSION@-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256(planhat-mcp-@VERSION@-aarch64-apple-darwin.tar.gz)@"
    end
    on_intel do
      url "@RELEASE@/planhat-mcp-@VERSION@-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256(planhat-mcp-@VERSION@-x86_64-apple-darwin.tar.gz)@"
    end
  end

  on_linux do
    on_arm do
      url "@RELEASE@/planhat-mcp-@VERSION@-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256(planhat-mcp-@VERSION@-aarch64-unknown-linux-musl.tar.gz)@"
    end
    on_intel do
      url "@RELEASE@/planhat-mcp-@VERSION@-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256(planhat-mcp-@VERSION@-x86_64-unknown-linux-musl.tar.gz)@"
    end
  end

  def install
    bin.install "planhat-mcp"
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/planhat-mcp.bash" => "planhat-mcp"
    zsh_completion.install "completions/_planhat-mcp"
    fish_completion.install "completions/planhat-mcp.fish"
    doc.install "THIRD-PARTY-LICENSES.md"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/planhat-mcp --version")
    assert_match "callback", shell_output("#{bin}/planhat-mcp config")
  end
end
