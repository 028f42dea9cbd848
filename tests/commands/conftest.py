import pytest

from knee_attention.commands.cli import main


@pytest.fixture
def refused(capsys):
    """Runs a command that must end with code 2; gives the one sentence it says on stderr."""

    def run(command, *arguments):
        with pytest.raises(SystemExit) as ended:
            main([command, *map(str, arguments)])
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said and len(said.splitlines()) == 1
        return said

    return run
